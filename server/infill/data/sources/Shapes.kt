package shapes

import kotlin.math.PI

sealed class Shape(val name: String) {
    abstract fun area(): Double

    override fun toString(): String = "$name with ${"%.2f".format(area())} square metres"
}

class Circle(private val radius: Double) : Shape("circle") {
    override fun area(): Double = PI * radius * radius
}

class Box(private val width: Double, private val height: Double) : Shape("box") {
    override fun area(): Double = width * height
}

/** Sums the areas (in square metres). */
fun total(shapes: List<Shape>, filter: (Shape) -> Boolean = { true }): Double {
    return shapes.filter(filter).sumOf { it.area() }
}

fun main(args: Array<String>) {
    val shapes = listOf(Circle(1.5), Box(2.0, 3.0))
    for ((index, shape) in shapes.withIndex()) {
        println("${index + 1}. $shape")
    }
    val large = shapes.filter { it.area() > 6.5 }.map { it.name.uppercase() }
    println("large: ${large.joinToString(", ") { "'$it'" }}")
    if (args.isNotEmpty()) {
        println("total: ${total(shapes) { shape -> shape.name == args[0] }}")
    }
}
